// Package upgrade lets two versions of the gateway take turns on one buffer: the release named in the file
// before, and this one (make test-upgrade). It is empty without the build tag upgrade.
//
// UPGRADE_FROM names another commit. The history of the repository must reach that far.
package upgrade
