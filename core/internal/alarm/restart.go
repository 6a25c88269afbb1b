package alarm

// judgedOld is the age, in ms, from which on a reading was taken for an old one.
const judgedOld = 10_000

// restart starts the delays of a device again. Its last readings were taken for old ones,
// and now its clock turns out to be wrong: between them and this one no time has passed
// that a delay could count. What they seemed to show of the past is forgotten.
func (x *step) restart() {
	if x.s.mem == nil || x.s.Lag < judgedOld {
		return // they were older than others, and so not judged
	}
	m := x.own()
	m.Cells = nil
	for i := len(m.Alarms) - 1; i >= 0; i-- {
		if m.Alarms[i].Past {
			x.remove(i)
			continue
		}
		m.Alarms[i].OffDue, m.Alarms[i].OffText = 0, ""
	}
	x.keep = true
}
