package state

// alertIndex holds the newest state of incidents: all open ones and a bounded number of past
// ones.
type alertIndex struct {
	byID     map[string]*Alert
	byDevice map[string][]*Alert // the open ones
	over     []*Alert            // those that are over, oldest first; some were replaced since
	overs    int                 // how many incidents that are over are kept
	max      int                 // the bound of overs
	// silent are open alarms read from the past, which observers were not notified of. It
	// is nil after the first AlertsCaughtUp, except while a partition is read again.
	silent map[string]*Alert
}

func newAlertIndex(limit int) alertIndex {
	return alertIndex{byID: make(map[string]*Alert), byDevice: make(map[string][]*Alert), max: limit}
}

// put stores a and reports whether it is news.
func (b *alertIndex) put(a *Alert) bool {
	old := b.byID[a.AlertID]
	switch {
	case old == nil:
	case !a.succeeds(old):
		return false
	case old.Open():
		b.unlist(old)
	default:
		b.overs--
	}
	b.byID[a.AlertID] = a
	if a.Open() {
		b.byDevice[a.DeviceID] = append(b.byDevice[a.DeviceID], a)
		return true
	}
	b.over = append(b.over, a)
	b.overs++
	b.trim()
	return true
}

// trim drops the oldest past incidents.
func (b *alertIndex) trim() {
	for b.overs > b.max {
		if oldest := b.over[0]; b.byID[oldest.AlertID] == oldest {
			delete(b.byID, oldest.AlertID)
			b.overs--
		}
		b.over[0] = nil
		b.over = b.over[1:]
	}
	if len(b.over) <= 2*b.max+100 {
		return
	}
	var rest []*Alert
	for _, a := range b.over {
		if b.byID[a.AlertID] == a {
			rest = append(rest, a)
		}
	}
	b.over = rest
}

// unlist takes an open alarm off its device's list.
func (b *alertIndex) unlist(a *Alert) {
	var rest []*Alert // a new slice: readers may hold the old one
	for _, other := range b.byDevice[a.DeviceID] {
		if other != a {
			rest = append(rest, other)
		}
	}
	if len(rest) == 0 {
		delete(b.byDevice, a.DeviceID)
		return
	}
	b.byDevice[a.DeviceID] = rest
}
