package state

// Recorder receives every reading that becomes a device's newest, also those that a later
// one in the same frame replaces. It is called with the model locked for writing: it must not
// block, and must not call methods of Model that lock. text is the reading as it arrived: JSON,
// unless a frame was forged; it is valid during the call. now is in ms.
type Recorder interface {
	Record(d *Device, text []byte, now int64)
	// Forget is called with the index of a removed device, likewise.
	Forget(index int)
}

// SetRecorder makes r the recorder. It is called once, before the model is filled.
func (m *Model) SetRecorder(r Recorder) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.recorder = r
}
