package securityaudit

import (
	"context"
	"errors"
	"fmt"
)

// ErrUnavailable is returned while the audit cannot be written.
var ErrUnavailable = errors.New("the security audit cannot be written")

// Writer writes records. Its methods give a record its time and program.
type Writer interface {
	Noter
	// Write returns when the record can no longer be lost. It fails with ErrUnavailable.
	Write(ctx context.Context, r Record) error
}

// Noter writes records later.
type Noter interface {
	// Note writes it counted with others that are alike. It does not block.
	Note(r Record)
}

// Change makes a change of access: only if that it began could be written. The change may complete the record of
// its end. It returns the error of the change, or ErrUnavailable.
func Change(ctx context.Context, w Writer, r Record, change func(*Record) error) error {
	r.Outcome = Begun
	switch err := w.Write(ctx, r); {
	case errors.Is(err, ErrUnavailable):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	err := change(&r)
	if r.Outcome = Done; err != nil {
		r.Outcome, r.Reason = Failed, err.Error()
	}
	w.Note(r)
	return err
}
