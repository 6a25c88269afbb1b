package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
	"industrial-iot-monitor/test/redistest"
)

// redisFaults break the Redis that portals share.
func redisFaults() []rig.Fault {
	return []rig.Fault{{
		Name: "redis-kill", Breaks: "Redis is killed with all that it has and restarted, or suspended",
		Expects: "the portal answers all the time and fills it again; a portal that starts then has every device's reading from it",
		Times:   30, Quick: 2, Site: rig.Site{Redis: true}, Run: killRedis,
		Possible: func() error { _, err := redistest.Find(); return err },
	}}
}

// redisAnswerLimit is how long the portal may take to answer while Redis is away.
const redisAnswerLimit = 2 * time.Second

func killRedis(ctx context.Context, r *rig.Round) error {
	for i := range r.Times {
		if err := r.Moment(ctx, 500*time.Millisecond, 2*time.Second); err != nil {
			return err
		}
		mend := r.Redis.Resume
		if i%2 == 0 {
			r.Redis.Kill()
			mend = func() error { return r.Redis.Restart(ctx) }
		} else if err := r.Redis.Pause(); err != nil {
			return err
		}
		r.Happened()
		err := withoutRedis(ctx, r)
		if err := errors.Join(err, mend()); err != nil {
			return err
		}
		took, err := rig.Await(ctx, "the portal to use Redis again", func() error { return redisUp(ctx, r, 1) })
		if err != nil {
			return err
		}
		r.Recovered("the portal uses Redis again", took, 0)
	}
	r.AtEnd(func(ctx context.Context) error { return startFromRedis(ctx, r) })
	return nil
}

// withoutRedis checks that the portal goes on, until it has noticed that Redis is away.
func withoutRedis(ctx context.Context, r *rig.Round) error {
	before, err := portalStats(ctx, r)
	if err != nil {
		return err
	}
	_, err = rig.Await(ctx, "the portal to notice that Redis is away", func() error {
		began := time.Now()
		now, err := portalStats(ctx, r)
		if err != nil {
			return err
		}
		took := time.Since(began)
		limit := redisAnswerLimit * time.Duration(r.Slack())
		r.Check(took < limit, "without Redis the portal answers in %v, limit %v", took, limit)
		if now.Readings.Total <= before.Readings.Total {
			return fmt.Errorf("no new readings since %d", before.Readings.Total)
		}
		return redisUp(ctx, r, 0)
	})
	r.Check(r.Ready(ctx, cluster.Portal) == nil, "without Redis the portal is not ready")
	return err
}

func redisUp(ctx context.Context, r *rig.Round, want float64) error {
	up, err := r.Metric(ctx, cluster.Portal, "portal_redis_up")
	if err == nil && up != want {
		err = fmt.Errorf("portal_redis_up is %v", up)
	}
	return err
}

// startFromRedis kills the portal when nothing is sent any more: all that the next one shows comes from
// Redis.
func startFromRedis(ctx context.Context, r *rig.Round) error {
	var before stats
	_, err := rig.Await(ctx, "the portal to have written everything", func() (err error) {
		before, err = portalStats(ctx, r)
		if err == nil && (before.Redis.Pending > 0 || !before.Redis.Up) {
			err = fmt.Errorf("%d devices wait", before.Redis.Pending)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := r.Kill(cluster.Portal); err != nil {
		return err
	}
	if err := restart(ctx, r, cluster.Portal, "ready again", 0); err != nil {
		return err
	}
	var after stats
	_, err = rig.Await(ctx, "the portal to have loaded everything", func() (err error) {
		after, err = portalStats(ctx, r)
		if err == nil && after.Redis.Loaded < before.Devices.Total {
			err = fmt.Errorf("%d of %d devices", after.Redis.Loaded, before.Devices.Total)
		}
		return err
	})
	if err != nil {
		return err
	}
	r.Check(before.Devices.Total > 0, "there was nothing to load")
	r.Note("a portal that started had the readings of %d devices from Redis", after.Redis.Loaded)
	return nil
}

// stats are some of the portal's.
type stats struct {
	Devices  struct{ Total int }
	Readings struct{ Total int64 }
	Store    struct{ Up, Behind bool }
	Redis    struct {
		Up              bool
		Loaded, Pending int
	}
}

func portalStats(ctx context.Context, r *rig.Round) (s stats, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.PortalURL()+"/api/v1/stats", http.NoBody)
	if err != nil {
		return s, err
	}
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return s, fmt.Errorf("/api/v1/stats: status %d", resp.StatusCode)
	}
	return s, json.NewDecoder(resp.Body).Decode(&s)
}
