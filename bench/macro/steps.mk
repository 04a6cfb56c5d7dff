# 150 steps, each a shell of its own: what a build spends when its shell can't load anything. BUSYBOX: the static one.
SHELL = $(BUSYBOX)
.SHELLFLAGS = sh -c
STEPS = $(addprefix out/step,$(shell $(BUSYBOX) seq 150))
all: $(STEPS)
	$(BUSYBOX) cat $^ >out/all; test -s out/all
out/step%: in
	test -d out || $(BUSYBOX) mkdir -p out; test ! -e $@; while read -r word; do echo "$$word $*"; done <$< >$@.new; $(BUSYBOX) mv $@.new $@
