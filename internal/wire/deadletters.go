package wire

// DeadLettersAnswer is what is in the topic of dead letters: the reply on DeadLettersSubject, JSON.
type DeadLettersAnswer struct {
	Error   string             `json:"error,omitempty"`
	Since   int64              `json:"since"` // ms since 1970, when the oldest of those counted was written
	Reasons []DeadLetterReason `json:"reasons"`
	Replays []DeadLetterReplay `json:"replays"` // the newest first
}

// DeadLetterReason is the dead letters of one reason.
type DeadLetterReason struct {
	Reason   string `json:"reason"`
	Count    int    `json:"count"`
	Replayed int    `json:"replayed"` // of Count
	// Ready would be accepted now, and were not replayed.
	Ready int `json:"ready"`
	// Blocked are those that cannot be replayed, by why: refused_again, processed, other_format,
	// truncated, misdirected or no_reading.
	Blocked map[string]int   `json:"blocked"`
	Oldest  int64            `json:"oldest"` // ms since 1970
	Newest  int64            `json:"newest"`
	Sample  DeadLetterSample `json:"sample"` // the newest
}

// DeadLetterSample is one dead letter.
type DeadLetterSample struct {
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Time      int64  `json:"time"`              // ms since 1970
	Device    string `json:"device,omitempty"`  // the record's key
	Gateway   string `json:"gateway,omitempty"` // empty for what came to Kafka without one
	Field     string `json:"field,omitempty"`
	Message   string `json:"message"` // why it was refused
	// Again is why it would be refused now, empty if it would not be.
	Again string `json:"again,omitempty"`
	Bytes int    `json:"bytes"` // of the message, as far as it was kept
	Raw   []byte `json:"raw"`   // its beginning, MaxLetterSample bytes at most
}

// DeadLetterReplay says that dead letters were sent through once more. As a record of the topic
// of dead letters, with HeaderReplay, it has the offsets of those in its own partition.
type DeadLetterReplay struct {
	ID      string  `json:"id"`
	Time    int64   `json:"time"` // ms since 1970
	By      string  `json:"by"`
	Reason  string  `json:"reason"`
	Count   int     `json:"count"`
	Begun   bool    `json:"begun,omitempty"` // the record marks the end of what the replay considers
	Offsets []int64 `json:"offsets,omitempty"`
}

// DeadLetterReplayRequest asks on DeadLettersReplaySubject to replay the oldest Most letters of a
// reason that are ready.
type DeadLetterReplayRequest struct {
	Reason string `json:"reason"`
	By     string `json:"by"`
	Most   int    `json:"most"`
}

// DeadLetterReplayAnswer is what became of a request. Count 0 means that nothing was ready.
type DeadLetterReplayAnswer struct {
	Error string `json:"error,omitempty"`
	ID    string `json:"id,omitempty"`
	Count int    `json:"count"`
}

// Bounds of dead letters in messages on the hub.
const (
	MaxLetterSample  = 16 << 10 // bytes of a sample
	MaxLettersReplay = 5000     // of one replay
)
