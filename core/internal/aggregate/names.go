package aggregate

import "strings"

// maxNames bounds the names of parameters in the open windows of a partition, maxOfDevice
// and maxOfBuilding the parameters of one window. Devices choose the names.
const (
	maxNames      = 4096
	maxOfDevice   = 64
	maxOfBuilding = 256
)

// names gives the names of parameters small numbers, which take less memory in cells and
// are faster to find.
type names struct {
	list  []string // by number, empty for one that is free
	index map[string]uint32
	free  []uint32
	full  bool // a name was refused since the last sweep
}

// number returns the number of a name, and whether there is one.
func (n *names) number(name string) (uint32, bool) {
	if k, ok := n.index[name]; ok {
		return k, true
	}
	if len(n.index) >= maxNames {
		n.full = true
		return 0, false
	}
	name = strings.Clone(name) // the reading's strings share its whole text
	k := uint32(len(n.list))
	if last := len(n.free) - 1; last >= 0 {
		k, n.free = n.free[last], n.free[:last]
		n.list[k] = name
	} else {
		n.list = append(n.list, name)
	}
	n.index[name] = k
	return k, true
}

// sweep frees the names that no window has any more: names that devices made up must not
// keep others out for ever.
func (a *Aggregator) sweep() {
	inUse := make([]bool, len(a.names.list))
	mark := func(cells []cell) {
		for i := range cells {
			inUse[cells[i].parameter] = true
		}
	}
	for _, d := range a.devices {
		mark(d.minute[0].cells)
	}
	for _, b := range a.buildings {
		for i := range b.seconds {
			mark(b.seconds[i].cells)
		}
		for i := range b.minutes {
			mark(b.minutes[i].cells)
		}
	}
	for i := range a.done {
		mark(a.done[i].cells)
	}
	for _, s := range a.strays {
		mark(s.cells)
	}
	for k, used := range inUse {
		if name := a.names.list[k]; !used && name != "" {
			delete(a.names.index, name)
			a.names.list[k] = ""
			a.names.free = append(a.names.free, uint32(k))
		}
	}
	a.names.full = false
}
