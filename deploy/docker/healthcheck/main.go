// Command healthcheck asks one URL and exits 0 when the answer is 200. It is the health
// check in the product's images, which have no shell and no curl; it falls back to TLS.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const timeout = 3 * time.Second

func main() { os.Exit(run(os.Args[1:], os.Stdout)) }

// run returns 0 for healthy and 1 otherwise; Docker defines no other codes.
func run(args []string, out io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintln(out, "usage: healthcheck URL")
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	res, err := ask(ctx, args[0])
	if err != nil {
		fmt.Fprintln(out, err)
		return 1
	}
	defer res.Body.Close()
	// The engine keeps the output: docker inspect shows why a container is unhealthy.
	_, _ = io.Copy(out, io.LimitReader(res.Body, 1024))
	if res.StatusCode != http.StatusOK {
		return 1
	}
	return 0
}
