package wire

import (
	"bytes"
	"encoding/json"

	"industrial-iot-monitor/internal/telemetry"
)

// EncodeAlert returns a as the JSON of the contract. Unlike json.Marshal it leaves >
// and < as they are, so that an operator can be read in the raw text. The error is
// that of a number that is not finite.
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
