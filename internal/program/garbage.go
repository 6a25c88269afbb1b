package program

import "runtime/debug"

// usualGOGC is that of a program whose environment sets none.
const usualGOGC = 100

// CollectAt makes the garbage collector run when garbage has grown to so many percent of what
// is in use. GOGC and GOMEMLIMIT in the environment win.
func CollectAt(percent int) {
	if before := debug.SetGCPercent(percent); before != usualGOGC {
		debug.SetGCPercent(before)
	}
}
