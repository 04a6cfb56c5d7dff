// A program that is profiled.
int main() { return 0; }
