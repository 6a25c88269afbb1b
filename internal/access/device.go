package access

import (
	"encoding/json"
	"fmt"
	"strings"

	"industrial-iot-monitor/internal/credential"
	"industrial-iot-monitor/internal/telemetry"
)

// MaxDevices bounds the devices of one gateway that the centre knows, revoked ones included.
const MaxDevices = 50_000

// Device is the record of a device that the centre gave its credential, or took it from. One that is
// revoked may have no kind: only its gateway knew its credential. Changed is ms since 1970.
type Device struct {
	Gateway string `json:"gateway"`
	credential.Credential

	Changed int64  `json:"changed"`
	By      string `json:"by,omitempty"` // who changed it last
}

// DecodeDevice reads a record. The error says what is wrong with it.
func DecodeDevice(data []byte) (*Device, error) {
	if len(data) > MaxRecord {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrNoRecord, len(data), MaxRecord)
	}
	var d Device
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRecord, err)
	}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRecord, err)
	}
	return &d, nil
}

func (d *Device) check() error {
	switch {
	case !telemetry.ValidDeviceID(d.Gateway):
		return fmt.Errorf("gateway %.80q", d.Gateway)
	case d.Kind != "" || d.Revoked == 0:
		return d.Check()
	case !telemetry.ValidDeviceID(d.ID):
		return fmt.Errorf("id %.80q", d.ID)
	}
	return nil
}

// Encode returns a record as JSON.
func (d *Device) Encode() []byte {
	data, err := json.Marshal(d)
	if err != nil {
		panic("access: a record of strings and numbers: " + err.Error())
	}
	return data
}

// keyOfDevice begins the keys of devices' records in the topic.
const keyOfDevice = "device/"

// DeviceRecordKey returns the key of a device's record in the topic.
func DeviceRecordKey(gateway, device string) string { return keyOfDevice + gateway + "/" + device }

// OfDeviceRecordKey returns the gateway and device of a record's key.
func OfDeviceRecordKey(key string) (gateway, device string, ok bool) {
	rest, ok := strings.CutPrefix(key, keyOfDevice)
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, "/")
}

// DecodeDeviceRecord reads a record and compares it with its key.
func DecodeDeviceRecord(key string, data []byte) (*Device, error) {
	d, err := DecodeDevice(data)
	if err == nil && key != DeviceRecordKey(d.Gateway, d.ID) {
		return nil, fmt.Errorf("%w: it is of another device than its key", ErrNoRecord)
	}
	return d, err
}
