package alarm

import (
	"slices"
	"strings"

	"industrial-iot-monitor/internal/telemetry"
)

func (w *Where) empty() bool {
	return len(w.Buildings) == 0 && len(w.Floors) == 0 && len(w.Models) == 0 && len(w.Devices) == 0
}

// fits reports whether w matches a device.
func (w *Where) fits(device, model string, loc telemetry.Location) bool {
	return (len(w.Buildings) == 0 || slices.Contains(w.Buildings, loc.Building)) &&
		(len(w.Floors) == 0 || slices.Contains(w.Floors, loc.Floor)) &&
		(len(w.Models) == 0 || anyMatch(w.Models, model)) &&
		(len(w.Devices) == 0 || anyMatch(w.Devices, device))
}

func anyMatch(patterns []string, s string) bool {
	for _, p := range patterns {
		if match(p, s) {
			return true
		}
	}
	return false
}

// match reports whether s matches a pattern in which * stands for any text.
func match(pattern, s string) bool {
	for {
		star := strings.IndexByte(pattern, '*')
		if star < 0 {
			return pattern == s
		}
		if !strings.HasPrefix(s, pattern[:star]) {
			return false
		}
		s, pattern = s[star:], pattern[star+1:]
		if pattern == "" {
			return true
		}
		next := strings.IndexByte(pattern, '*')
		if next < 0 {
			return strings.HasSuffix(s, pattern)
		}
		// The earliest match of the part between two stars leaves most to the rest.
		at := strings.Index(s, pattern[:next])
		if at < 0 {
			return false
		}
		s = s[at:]
	}
}

// governs reports whether r is the rule of its type that applies to a device: the first
// that matches.
func (rs *Rules) governs(r *rule, device, model string, loc telemetry.Location) bool {
	for _, other := range rs.byType[r.Type] {
		if other.anywhere || other.Where.fits(device, model, loc) {
			return other == r
		}
	}
	return false
}
