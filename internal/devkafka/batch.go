package devkafka

import (
	"errors"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxBatch is the size in bytes at which a batch of copies takes no more records. A single
// record fits in the topic with its batch of one, so it fits here too.
const maxBatch = 256 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode returns a record batch (Kafka protocol guide, "Record Batch", magic 2) with the first n
// of those records, uncompressed and without a producer id.
func encode(records []*kgo.Record, limit int) (batch []byte, n int) {
	if len(records) == 0 {
		return nil, 0
	}
	first := records[0].Timestamp.UnixMilli()
	b := kmsg.RecordBatch{Magic: 2, FirstTimestamp: first, MaxTimestamp: first, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1}
	for n < len(records) && len(b.Records) < limit {
		r := records[n]
		b.MaxTimestamp = max(b.MaxTimestamp, r.Timestamp.UnixMilli())
		b.Records = appendRecord(b.Records, r, int32(n), r.Timestamp.UnixMilli()-first)
		n++
	}
	b.NumRecords, b.LastOffsetDelta = int32(n), int32(n-1)
	// The length leaves out the base offset and itself, the checksum everything up to itself.
	raw := b.AppendTo(nil)
	b.Length = int32(len(raw) - 12)
	b.CRC = int32(crc32.Checksum(raw[21:], castagnoli))
	return b.AppendTo(raw[:0]), n
}

func appendRecord(dst []byte, r *kgo.Record, offsetDelta int32, timestampDelta int64) []byte {
	k := kmsg.Record{OffsetDelta: offsetDelta, TimestampDelta64: timestampDelta, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		k.Headers = append(k.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
	}
	k.Length = int32(len(k.AppendTo(nil)) - 1) // without the one byte of a length of 0
	return k.AppendTo(dst)
}

func produce(at partition, batch []byte) *kmsg.ProduceRequest {
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = at.index, batch
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.Partitions = at.topic, append(t.Partitions, p)
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.Topics = -1, append(req.Topics, t)
	return req
}

// answer returns the response to a request of produce, with an error code.
func answer(req *kmsg.ProduceRequest, at partition, code int16) *kmsg.ProduceResponse {
	p := kmsg.NewProduceResponseTopicPartition()
	p.Partition, p.ErrorCode = at.index, code
	t := kmsg.NewProduceResponseTopic()
	t.Topic, t.Partitions = at.topic, append(t.Partitions, p)
	resp, _ := req.ResponseKind().(*kmsg.ProduceResponse)
	resp.Topics = append(resp.Topics, t)
	return resp
}

// outcome returns the error in the response to a request of produce.
func outcome(resp kmsg.Response) error {
	r, ok := resp.(*kmsg.ProduceResponse)
	if !ok || len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		return errors.New("a response without the partition")
	}
	return kerr.ErrorForCode(r.Topics[0].Partitions[0].ErrorCode)
}
