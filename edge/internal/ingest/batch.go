package ingest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// batch splits a message into its readings and validates each. One that is no batch is one
// dead letter.
func (v *validator) batch(m *Message, from wire.Sender, payload []byte) {
	v.elements, m.Refusal = wire.SplitBatch(v.elements[:0], payload)
	if m.Refusal != nil {
		v.refuse(m, from, payload)
		return
	}
	m.Batch()
	for _, e := range v.elements {
		name := from.ID
		if from.Concentrator {
			name = ""
		}
		refusal := v.check(name, e)
		if from.Concentrator {
			name = v.named()
			if refusal == nil && v.may != nil && !v.may(name) {
				refusal, name = v.notAllowed(name), from.ID
			}
		}
		if refusal != nil && len(e) > keptBytes {
			e = e[:keptBytes]
			refusal.Message += fmt.Sprintf(" (the first %d bytes are kept)", keptBytes)
		}
		m.Add(clip(name), e, refusal, "")
	}
}

// describe returns what a sender should know of a stored batch beside that, empty for nothing:
// how many readings were refused, and why the first.
func (b *Batch) describe() string {
	if b == nil || len(b.Refused) == 0 {
		return ""
	}
	first := &b.Refused[0]
	return fmt.Sprintf("%d accepted, %d refused; reading %d: %s: %s", b.Accepted, len(b.Refused), first.Index, first.Error.Reason, first.Error.Message)
}

// named returns the device id that was read last, empty for none that is valid.
func (v *validator) named() string {
	if !telemetry.ValidDeviceID(v.reading.DeviceID) {
		return ""
	}
	return v.reading.DeviceID
}

// encodings are the content types of MQTT 5 for compressed messages, and the values of the
// NATS header Content-Encoding.
var encodings = map[string]string{
	"application/gzip": "gzip", "application/x-gzip": "gzip", "application/zstd": "zstd",
}

// contentEncoding returns how a payload of a content type is compressed, empty for not.
func contentEncoding(contentType string) string {
	name, _, _ := strings.Cut(contentType, ";")
	return encodings[strings.ToLower(strings.TrimSpace(name))]
}

// unpack decompresses a message, to at most wire.MaxBatchBytes.
func unpack(payload []byte, encoding string) ([]byte, *telemetry.Refusal) {
	var r io.Reader
	var err error
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "identity":
		return payload, nil
	case "gzip":
		r, err = gzip.NewReader(bytes.NewReader(payload))
	case "zstd":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(bytes.NewReader(payload), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			defer z.Close()
			r = z
		}
	default:
		return nil, &telemetry.Refusal{
			Reason: telemetry.ReasonInvalidEncoding, Field: "Content-Encoding",
			Message: fmt.Sprintf("%q; want gzip, zstd or none", clip(encoding)),
		}
	}
	var plain []byte
	if err == nil {
		plain, err = io.ReadAll(io.LimitReader(r, wire.MaxBatchBytes+1))
	}
	switch {
	case err != nil && !errors.Is(err, zstd.ErrWindowSizeExceeded):
		return nil, &telemetry.Refusal{
			Reason:  telemetry.ReasonInvalidEncoding,
			Message: fmt.Sprintf("the message is said to be %s and cannot be decompressed: %v", clip(encoding), err),
		}
	case err != nil || len(plain) > wire.MaxBatchBytes:
		return nil, &telemetry.Refusal{
			Reason: telemetry.ReasonTooLarge, Message: fmt.Sprintf("more than %d bytes when decompressed; send less", wire.MaxBatchBytes),
		}
	}
	return plain, nil
}

// maxWindow is the largest window of a zstd message, which bounds the memory for reading one:
// eight times the largest message, as encoders choose at their highest levels.
const maxWindow = 8 << 20
