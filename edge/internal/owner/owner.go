// Package owner lets a command that root runs write as the owner of the gateway's data: the gateway does not
// run as root, and could not read files of root. It is not for the gateway itself. Nothing in it blocks.
package owner
