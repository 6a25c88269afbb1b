package kafkaproxy

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// rewrite replaces the broker's address by the proxy's in answers that contain it.
func (p *Proxy) rewrite(x Exchange, frame []byte) ([]byte, error) {
	switch x.Key {
	case Metadata, FindCoordinator, describeCluster:
	default:
		return frame, nil
	}
	resp := kmsg.RequestForKey(x.Key).ResponseKind()
	if x.Version > resp.MaxVersion() {
		return nil, fmt.Errorf("%w: version %d is unknown", errFrame, x.Version)
	}
	resp.SetVersion(x.Version)
	head := 4 // the correlation
	if resp.IsFlexible() {
		n, err := tags(frame[head:])
		if err != nil {
			return nil, err
		}
		head += n
	}
	if err := resp.ReadFrom(frame[head:]); err != nil {
		return nil, fmt.Errorf("decoding: %w", err)
	}
	p.replace(resp)
	return resp.AppendTo(frame[:head:head]), nil
}

// replace changes every broker's address in a decoded answer.
func (p *Proxy) replace(resp kmsg.Response) {
	switch r := resp.(type) {
	case *kmsg.MetadataResponse:
		for i := range r.Brokers {
			r.Brokers[i].Host, r.Brokers[i].Port = p.host, p.port
		}
	case *kmsg.DescribeClusterResponse:
		for i := range r.Brokers {
			r.Brokers[i].Host, r.Brokers[i].Port = p.host, p.port
		}
	case *kmsg.FindCoordinatorResponse:
		if r.ErrorCode == 0 {
			r.Host, r.Port = p.host, p.port
		}
		for i := range r.Coordinators {
			if c := &r.Coordinators[i]; c.ErrorCode == 0 {
				c.Host, c.Port = p.host, p.port
			}
		}
	}
}

// tags returns the length of a header's tagged fields.
func tags(b []byte) (int, error) {
	count, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, errFrame
	}
	for range count {
		_, key := binary.Uvarint(b[n:])
		if key <= 0 {
			return 0, errFrame
		}
		size, length := binary.Uvarint(b[n+key:])
		if length <= 0 || size > uint64(len(b)-n-key-length) {
			return 0, errFrame
		}
		n += key + length + int(size)
	}
	return n, nil
}
