package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Age is a duration that may be given in days, as in 90d.
type Age time.Duration

const day = 24 * time.Hour

var errAge = errors.New("want a time such as 90d or 36h")

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Age) UnmarshalText(text []byte) error {
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("%q: %w", text, errAge)
		}
		*a = Age(time.Duration(n) * day)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("%q: %w", text, errAge)
	}
	*a = Age(d)
	return nil
}

// String returns whole days as days.
func (a Age) String() string {
	if d := time.Duration(a); d%day == 0 && d > 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return time.Duration(a).String()
}
