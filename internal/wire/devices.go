package wire

import "encoding/json"

// DevicesSubject returns the subject on which a gateway takes DeviceRecords from a bridge and answers with
// a DeviceVersion, both JSON.
func DevicesSubject(gateway string) string { return "gateways." + gateway + ".devices" }

// DeviceRecords is what the centre says of devices of a gateway, in the order of their versions.
type DeviceRecords struct {
	// Topic is the id of the Kafka topic that the records are from: another one counts from its start.
	Topic string `json:"topic"`
	// After is the version that the gateway must have before it takes the records, 0 for none.
	After   int64          `json:"after"`
	Records []DeviceRecord `json:"records"`
}

// DeviceRecord is one record, as access.DecodeDevice reads it, and its version: its offset in the topic
// and 1.
type DeviceRecord struct {
	Version int64           `json:"version"`
	Record  json.RawMessage `json:"record"`
}

// DeviceVersion says up to which version of a topic a gateway has stored the centre's records of its
// devices; 0 for none.
type DeviceVersion struct {
	Topic   string `json:"topic"`
	Version int64  `json:"version"`
	Error   string `json:"error,omitempty"` // why it did not take the last ones
}

// Lacks reports whether a gateway with this version lacks a record.
func (v DeviceVersion) Lacks(topic string, version int64) bool {
	return version > 0 && (v.Topic != topic || v.Version < version)
}
