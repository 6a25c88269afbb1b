package backup

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/IBM/sarama"
	"github.com/klauspost/compress/zstd"
)

// A file is one zstd frame of lines of JSON: the header, the records by partition and offset, the end. The end has the number of
// records and the SHA-256 of all lines before it, so that a file that was cut or changed is never taken for a whole one.
const (
	format  = "industrial-iot-monitor topic"
	version = 1
)

// header is the first line.
type header struct {
	Format     string  `json:"format"`
	Version    int     `json:"version"`
	Role       string  `json:"role"`  // default name of the topic
	Topic      string  `json:"topic"` // name where it was exported
	Partitions int32   `json:"partitions"`
	Compacted  bool    `json:"compacted"`
	Taken      int64   `json:"taken"` // ms since 1970
	First      []int64 `json:"first"` // by partition: the oldest offset at that time
	End        []int64 `json:"end"`   // by partition: the offset after the newest
}

// record is the line of a record. A key or value of null is one that Kafka has none of.
type record struct {
	Partition int32         `json:"p"`
	Offset    int64         `json:"o"`
	Time      int64         `json:"t"` // ms since 1970
	Key       []byte        `json:"k"`
	Value     []byte        `json:"v"`
	Headers   []headerField `json:"h,omitempty"`
}

type headerField struct {
	Key   []byte `json:"k"`
	Value []byte `json:"v"`
}

// trailer is the last line.
type trailer struct {
	Records *int64 `json:"records"`
	SHA256  string `json:"sha256"`
}

func recordOf(m *sarama.ConsumerMessage) record {
	r := record{Partition: m.Partition, Offset: m.Offset, Time: m.Timestamp.UnixMilli(), Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, headerField{h.Key, h.Value})
	}
	return r
}

// digest tells records apart by what an import keeps: all but the offset.
type digest [16]byte

func (r record) digest() (digest, error) {
	r.Offset = 0
	data, err := json.Marshal(r)
	if err != nil {
		return digest{}, fmt.Errorf("encoding a record: %w", err)
	}
	sum := sha256.Sum256(data)
	return digest(sum[:16]), nil
}

// writer writes a file.
type writer struct {
	file    *os.File
	zip     *zstd.Encoder
	out     *bufio.Writer
	sum     hash.Hash
	records int64
}

func create(name string, h *header) (*writer, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	zip, err := zstd.NewWriter(file, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	w := &writer{file: file, zip: zip, sum: sha256.New()}
	w.out = bufio.NewWriter(io.MultiWriter(zip, w.sum))
	h.Format, h.Version = format, version
	if err := w.line(h); err != nil {
		return nil, errors.Join(err, w.discard())
	}
	return w, nil
}

func (w *writer) line(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding a line: %w", err)
	}
	_, err = w.out.Write(append(data, '\n'))
	return err
}

func (w *writer) add(r record) error {
	w.records++
	return w.line(r)
}

// finish writes the end and syncs the file.
func (w *writer) finish() error {
	err := w.out.Flush()
	if err == nil {
		err = w.line(trailer{&w.records, hex.EncodeToString(w.sum.Sum(nil))})
	}
	return errors.Join(err, w.out.Flush(), w.zip.Close(), w.file.Sync(), w.file.Close())
}

// discard closes the file without an end.
func (w *writer) discard() error { return errors.Join(w.zip.Close(), w.file.Close()) }

// maxLine is longer than any line: a record of 4 MiB in base64, and its key and headers.
const maxLine = 16 << 20

var (
	errCut     = errors.New("the file is not complete: its end is missing; use another backup")
	errChanged = errors.New("the file was changed: its checksum does not match; use another backup")
	errNoFile  = errors.New("the file is none of core topics export")
)

// read calls each with the records of a file, in order. It returns nil only for a whole, unchanged file: what
// it called before an error must not be used.
func read(name string, begin func(*header) error, each func(record) error) error {
	if err := readLines(name, begin, each); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func readLines(name string, begin func(*header) error, each func(record) error) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was read
	unzip, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("%w: %w", errNoFile, err)
	}
	defer unzip.Close()
	lines := bufio.NewScanner(unzip)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	if !lines.Scan() {
		why := whyEnded(lines)
		if errors.Is(lines.Err(), io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: %w", errCut, why)
		}
		return fmt.Errorf("%w: %w", errNoFile, why)
	}
	sum := sha256.New()
	h, err := parseHeader(lines.Bytes())
	if err != nil {
		return err
	}
	add(sum, lines.Bytes())
	if err := begin(h); err != nil {
		return err
	}
	return readRecords(lines, sum, h, each)
}

func whyEnded(lines *bufio.Scanner) error {
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

func add(sum hash.Hash, line []byte) {
	sum.Write(line)
	sum.Write([]byte{'\n'})
}

func parseHeader(line []byte) (*header, error) {
	h := &header{}
	if err := json.Unmarshal(line, h); err != nil || h.Format != format {
		return nil, errNoFile
	}
	if h.Version != version {
		return nil, fmt.Errorf("version %d of the file is unknown: import it with the release that wrote it; this one reads version %d", h.Version, version)
	}
	if h.Partitions < 1 || len(h.First) != int(h.Partitions) || len(h.End) != int(h.Partitions) {
		return nil, fmt.Errorf("%w: it has %d partitions, and offsets of %d", errNoFile, h.Partitions, len(h.End))
	}
	return h, nil
}

func readRecords(lines *bufio.Scanner, sum hash.Hash, h *header, each func(record) error) error {
	n := int64(0)
	for lines.Scan() {
		var l struct {
			trailer
			record
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("%w: line %d: %w", errChanged, n+2, err)
		}
		if l.SHA256 != "" {
			if l.Records == nil || *l.Records != n || l.SHA256 != hex.EncodeToString(sum.Sum(nil)) || lines.Scan() {
				return errChanged
			}
			return lines.Err()
		}
		if l.Partition < 0 || l.Partition >= h.Partitions {
			return fmt.Errorf("%w: record %d is of partition %d", errChanged, n+1, l.Partition)
		}
		add(sum, lines.Bytes())
		n++
		if err := each(l.record); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: after %d records: %w", errCut, n, whyEnded(lines))
}
