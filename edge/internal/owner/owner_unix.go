//go:build unix

package owner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Become makes this process run as the owner of a directory, with that user's groups, if it runs as root
// and the directory is another user's. Otherwise, and for a directory that is not there, it does nothing.
func Become(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, gid, err := Of(dir)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && uid == 0) {
		return nil
	}
	if err != nil {
		return err
	}
	// The order matters: a user other than root cannot change its groups.
	if err := errors.Join(syscall.Setgroups(groups(uid, gid)), syscall.Setgid(gid), syscall.Setuid(uid)); err != nil {
		return fmt.Errorf("becoming the owner of %s, user %d: %w", dir, uid, err)
	}
	return nil
}

// Of returns user and group of a file or directory.
func Of(name string) (uid, gid int, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return 0, 0, fmt.Errorf("finding the owner: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, fmt.Errorf("finding the owner of %s: the file system has none", name)
	}
	return int(st.Uid), int(st.Gid), nil
}

// groups returns all groups of a user: the key of a certificate may be readable by one of them alone. A
// user without an entry has its first group.
func groups(uid, gid int) []int {
	all := []int{gid}
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return all
	}
	ids, err := u.GroupIds()
	if err != nil {
		return all
	}
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil && n != gid {
			all = append(all, n)
		}
	}
	return all
}
