package main

import (
	"context"
	"fmt"
	"sync"

	"industrial-iot-monitor/test/viewer"
)

// client is a WebSocket client that reads whatever comes.
type client struct {
	v     *viewer.Viewer
	close func() error // once
}

// connect subscribes to the devices with those ids, or to all.
func connect(ctx context.Context, url string, ids []string) (*client, error) {
	v, err := viewer.Dial(ctx, url)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		err = v.SubscribeAll()
	} else {
		err = v.Subscribe(ids...)
	}
	return &client{v: v, close: sync.OnceValue(v.Close)}, err
}

// follow reads until ctx ends; that the connection ends first is an error, and so is silence: a
// client that receives nothing takes no part in the soak.
func (c *client) follow(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = c.close() })
	defer stop()
	for n := 0; ; n++ {
		_, err := c.v.Read()
		switch {
		case err == nil:
		case ctx.Err() == nil:
			return fmt.Errorf("a WebSocket client after %d messages: %w", n, err)
		case n == 0:
			return fmt.Errorf("a WebSocket client received nothing: %w", err)
		default:
			return nil
		}
	}
}
