// Package arch contains the architecture tests: allowed imports with their reasons, and the
// rules for packages, files, settings and documentation. It exports nothing.
package arch
