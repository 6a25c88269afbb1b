package admin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// password reads the first line of the input, from a terminal without showing it: everybody on the machine sees a command line.
func (t *tool) password() (string, error) {
	fmt.Fprint(t.Err, "Password: ")
	line, err := t.line()
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func (t *tool) line() (string, error) {
	file, ok := t.In.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return bufio.NewReader(t.In).ReadString('\n')
	}
	line, err := term.ReadPassword(int(file.Fd()))
	fmt.Fprintln(t.Err) // the one that was typed is not shown
	return string(line), err
}
