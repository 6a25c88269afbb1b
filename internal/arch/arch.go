// Package arch holds the tests of the architecture: who may import whom, and why; what
// every package, file and setting must have. It has no code of its own and is imported
// by nothing.
package arch
