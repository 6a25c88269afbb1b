package auditlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"time"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/securityaudit"
)

// flushWithin bounds how long a command waits for the record of its end.
const flushWithin = 10 * time.Second

// Shell records what a command on a machine changes. Its methods but By block on Kafka.
type Shell struct {
	journal *Journal
	by      string
}

// NewShell returns the Shell of a command of a program, which connects when there is something to write.
func NewShell(program string, cluster kafka.Cluster, topic kafka.Topic) (*Shell, error) {
	j, err := New(Options{Cluster: cluster, Topic: topic, Program: program, Log: slog.New(slog.DiscardHandler)})
	return &Shell{journal: j, by: operator()}, err
}

// operator is who runs the command, as the machine knows them.
func operator() string {
	if u, err := user.Current(); err == nil {
		return "shell:" + u.Username // no name of a person has a colon
	}
	return "shell:"
}

// machine is where the program runs.
func machine() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// By returns who runs the command: shell: and the user of the machine.
func (s *Shell) By() string { return s.by }

// Change is securityaudit.Change by who runs the command. It fails with securityaudit.ErrUnavailable.
func (s *Shell) Change(ctx context.Context, what securityaudit.What, about, detail string, f func(*securityaudit.Record) error) error {
	r := securityaudit.Record{Who: s.by, Via: "shell", Address: machine(), What: what, About: about, Detail: detail}
	err := securityaudit.Change(ctx, s.journal, r, f)
	if errors.Is(err, securityaudit.ErrUnavailable) {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	return err
}

// End writes how the changes ended, also after ctx. Call it when the command is done.
func (s *Shell) End(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
	defer cancel()
	if err := s.journal.Flush(ctx); err != nil {
		return fmt.Errorf("writing to the security audit how it ended: %w", err)
	}
	return nil
}

// NoteInsecure records that a program starts with these words of INSECURE. Without any it does nothing.
func NoteInsecure(n securityaudit.Noter, insecure []string) {
	if len(insecure) > 0 {
		n.Note(securityaudit.Record{Address: machine(), What: securityaudit.InsecureStart, Detail: strings.Join(insecure, ","), Outcome: securityaudit.Done})
	}
}
