package wire

import (
	"bytes"
	"encoding/json"

	"industrial-iot-monitor/internal/telemetry"
)

// EncodeAlert returns a as the JSON of the contract. Unlike json.Marshal it does not
// escape > and <, so that a threshold's operator is legible in the raw text. It fails
// only for a number that is not finite.
func EncodeAlert(a *telemetry.Alert) ([]byte, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(a); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// DecodeAlert parses an alert.
func DecodeAlert(data []byte) (telemetry.Alert, error) {
	var a telemetry.Alert
	err := json.Unmarshal(data, &a)
	return a, err
}
