package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func sample(id string) []byte {
	return fmt.Appendf(nil, `{"device_id":%q,"timestamp":1640995200000,"location":{"building":"A栋","floor":3,"room":"301"},`+
		`"sensors":{"temperature":{"value":25.6,"unit":"°C","status":"normal"},"humidity":{"value":65.2,"unit":"%%","status":"normal"},`+
		`"pressure":{"value":1013.25,"unit":"hPa","status":"normal"},"switch_status":{"value":true,"status":"on"},`+
		`"current":{"value":2.5,"unit":"A","status":"normal"}},`+
		`"device_info":{"model":"IOT-SENSOR-V2","firmware":"1.2.3","battery":85,"signal_strength":-45}}`, id)
}

var freshNumber atomic.Int64

// fresh returns a reading like no other: it is no resend.
func fresh(id string) string { return at(id, int(freshNumber.Add(1))) }

// at returns a reading of a device with a timestamp of its own.
func at(id string, n int) string {
	return strings.Replace(string(sample(id)), "1640995200000", strconv.FormatInt(1640995200000+int64(n), 10), 1)
}

// memStore is a Store in memory with settable results.
type memStore struct {
	mu      sync.Mutex
	packs   [][]byte
	put     func(ctx context.Context, n int) error // result of the n-th Put, from 1; nil: stored
	putPack func(ctx context.Context, pack []byte) error
	settle  func() (stored bool, err error)
	full    bool
	puts    int
	settles int
	keep    bool
}

func (s *memStore) Put(ctx context.Context, pack []byte) (uint64, error) {
	s.mu.Lock()
	s.puts++
	n, put := s.puts, s.put
	s.mu.Unlock()
	if s.putPack != nil {
		put = func(ctx context.Context, _ int) error { return s.putPack(ctx, pack) }
	}
	if put != nil {
		if err := put(ctx, n); err != nil {
			return 0, err
		}
	}
	return s.store(pack), nil
}

func (s *memStore) store(pack []byte) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keep {
		pack = slices.Clone(pack)
	}
	s.packs = append(s.packs, pack)
	return uint64(len(s.packs))
}

func (s *memStore) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.packs)
}

func (s *memStore) Settle(context.Context, uint64, uint64) (uint64, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settles++
	stored, err := s.settle()
	return uint64(len(s.packs)), stored, err
}

func (s *memStore) HasRoom(context.Context) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.full, nil
}

// outcome is the arguments of Answer.
type outcome struct {
	seq uint64
	r   *telemetry.Refusal
}

// waiter is a Responder that one goroutine waits for.
type waiter chan outcome

// Answer implements Responder.
func (w waiter) Answer(_ *Ticket, seq uint64, r *telemetry.Refusal) { w <- outcome{seq, r} }
