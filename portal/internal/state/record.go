package state

// Recorder is given every reading that becomes a device's newest, also those that a later
// one in the same frame replaces. It is called with the plant locked for writing: it must not
// block, and must not call methods of Plant that lock. now is in ms.
type Recorder interface {
	Record(d *Device, now int64)
}

// RecordTo makes r the recorder. It is called once, before the plant is filled.
func (p *Plant) RecordTo(r Recorder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recorder = r
}
