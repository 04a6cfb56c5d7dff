// See probe.h. usage: preload_probe COMMAND ARGUMENT...
#include "tests/preload/probe.h"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const Arguments arguments(argv + 2, argv + argc);
  for (const Entry* list : {kWalkCommands, kFileCommands, kProcessCommands, kProgramCommands})
    for (const Entry* entry = list; entry->name != nullptr; entry++)
      if (strcmp(entry->name, argv[1]) == 0) return entry->run(arguments);
  fprintf(stderr, "no command %s\n", argv[1]);
  return 2;
}
