// What the front and the keeper tell one another.
#include "launcher/process/channel.h"

#include <gtest/gtest.h>

namespace ovl {
namespace {

TEST(Channel, TheLastMessageIsHeardThoughTheSenderHasGoneWithoutListening) {
  Channel channel = make_channel();
  send_message(channel.front.get(), Message{Message::kResume, 0, 0, 1});
  send_message(channel.keeper.get(), Message{Message::kEnded, 6 << 8, 0, 0});
  channel.keeper.reset();
  Message message = {};
  ASSERT_TRUE(receive_message(channel.front.get(), &message));
  EXPECT_EQ(message.kind, Message::kEnded);
  EXPECT_EQ(message.value, 6 << 8);
  EXPECT_FALSE(receive_message(channel.front.get(), &message));
}

}  // namespace
}  // namespace ovl
