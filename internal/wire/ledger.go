package wire

import "encoding/json"

// GatewayLedger accounts for every reading that a gateway accepted. The bridge that owns
// the gateway's lane publishes it as JSON on gateways.<gateway>.ledger about once a second.
type GatewayLedger struct {
	Gateway string `json:"gateway"`
	Time    int64  `json:"time"` // ms since 1970
	// Epochs are the newest starts of the gateway, the present one last. Total counts
	// every start since the first checkpoint.
	Epochs []EpochLedger `json:"epochs"`
	Total  LedgerCounts  `json:"total"`
	// Difference is the number of readings of these epochs that the gateway has stored,
	// the bridge has passed, and that are neither committed nor known to be damaged.
	// Anything but 0 is an alarm.
	Difference int64 `json:"difference"`
	// Oldest is the gateway's receive time (ms since 1970) of the oldest pack that the bridge
	// has fetched and not committed, 0 when there is none.
	Oldest int64 `json:"oldest,omitempty"`
	// Duplicate describes the refused installation while two installations send
	// heartbeats under this id.
	Duplicate string `json:"duplicate,omitempty"`
}

// EpochLedger is the ledger of one start of a gateway.
type EpochLedger struct {
	Epoch string `json:"epoch"` // 16 hex digits
	LedgerCounts
}

// LedgerCounts counts readings, unless a comment says otherwise.
type LedgerCounts struct {
	Accepted     uint64 `json:"accepted"`      // acknowledged, as the gateway counts them
	Packed       uint64 `json:"packed"`        // in packs on the gateway's disk, as the gateway counts them
	Bridged      uint64 `json:"bridged"`       // fetched by the bridge
	Committed    uint64 `json:"committed"`     // in device-data
	Refused      uint64 `json:"refused"`       // messages in device-data-dlq
	Damaged      uint64 `json:"damaged"`       // known to be lost in damaged or missing packs
	DamagedPacks uint64 `json:"damaged_packs"` // packs that were damaged or missing
	Late         uint64 `json:"late"`          // of the committed ones, those that waited in the buffer
	Duplicates   uint64 `json:"duplicates"`    // packs that arrived twice and were dropped
}

// Encode returns the ledger as JSON.
func (l GatewayLedger) Encode() ([]byte, error) { return json.Marshal(l) }

// DecodeGatewayLedger parses a ledger.
func DecodeGatewayLedger(data []byte) (GatewayLedger, error) {
	var l GatewayLedger
	err := json.Unmarshal(data, &l)
	return l, err
}
