//go:build !unix

package owner

import "errors"

// Become does nothing: files have no owner here that a process could become.
func Become(string) error { return nil }

// Of fails.
func Of(string) (uid, gid int, err error) { return 0, 0, errors.ErrUnsupported }
