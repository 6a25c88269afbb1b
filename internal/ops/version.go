package ops

// Version is the version of this build, set by the linker (see the Makefile).
var Version = "dev"
