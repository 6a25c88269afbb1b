//go:build !linux

package doctor

import (
	"errors"
	"time"
)

func probeFilesystem(string) (filesystem, error) { return filesystem{}, errors.ErrUnsupported }
func probeClock(now time.Time) clock             { return clock{now: now, err: errors.ErrUnsupported} }
func openFiles(int) (uint64, error)              { return 0, errors.ErrUnsupported }
func available() (free, total int64, err error)  { return 0, 0, errors.ErrUnsupported }
func holder(string) (pid int, err error)         { return 0, errors.ErrUnsupported }
