package wire

import "encoding/json"

// GatewayStatus is a gateway's heartbeat, JSON on gateways.<gateway>.status at the
// hub about once a second. Bytes are bytes on disk, times are ms since 1970 by the
// gateway's clock.
type GatewayStatus struct {
	Gateway     string `json:"gateway"`
	Building    string `json:"building"`
	Epoch       string `json:"epoch"` // 16 hex digits
	Time        int64  `json:"time"`
	Started     int64  `json:"started"`
	FirstSeq    uint64 `json:"first_seq"` // oldest pack still on disk
	LastSeq     uint64 `json:"last_seq"`  // newest pack on disk
	BufferBytes uint64 `json:"buffer_bytes"`
	BufferLimit uint64 `json:"buffer_limit"`
	OldestMS    int64  `json:"oldest_ms"`  // receive time of the oldest pack on disk, 0 when none
	Accepted    uint64 `json:"accepted"`   // readings acknowledged or stored since start
	Refused     uint64 `json:"refused"`    // readings refused since start
	Unpromised  uint64 `json:"unpromised"` // plain publishes and QoS 0, included in Accepted
	BufferFull  bool   `json:"buffer_full"`
	Version     string `json:"version"`

	// Instance names the installation: 16 hex digits, made once and kept beside the
	// packs. Two installations with one gateway id differ in it.
	Instance string `json:"instance"`
	// Counter is that of the newest pack of this epoch, Packed the totals of its packs.
	Counter uint64     `json:"counter"`
	Packed  PackTotals `json:"packed"`
	// BytesPerSecond is the rate at which packs were stored over the last minutes, and
	// HorizonSeconds how long the buffer lasts at that rate if nothing leaves it; -1
	// when nothing comes in or the rate is not known yet.
	BytesPerSecond float64 `json:"bytes_per_second"`
	HorizonSeconds int64   `json:"horizon_seconds"`
	// Salvaged counts packs that this start recovered from damaged files, DamagedBytes
	// the bytes it could not.
	Salvaged     uint64 `json:"salvaged,omitempty"`
	DamagedBytes uint64 `json:"damaged_bytes,omitempty"`
	// StoreRestarts counts restarts of the storage since the gateway's start.
	StoreRestarts uint64 `json:"store_restarts,omitempty"`
	// KeepFrom is the oldest pack that must not be trimmed yet: by it and those after it a
	// restart of the gateway recognises messages that are sent again. 0 for none.
	KeepFrom uint64 `json:"keep_from,omitempty"`
	// Devices is what the gateway has stored of the centre's records of its devices; nil if it
	// takes none, because it asks devices for nothing.
	Devices *DeviceVersion `json:"devices,omitempty"`
}

// Encode returns the heartbeat as JSON.
func (s GatewayStatus) Encode() ([]byte, error) { return json.Marshal(s) }

// DecodeGatewayStatus parses a heartbeat.
func DecodeGatewayStatus(data []byte) (GatewayStatus, error) {
	var s GatewayStatus
	err := json.Unmarshal(data, &s)
	return s, err
}
