// An object to load.
extern "C" int answer() { return 42; }
