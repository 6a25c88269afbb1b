package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"industrial-iot-monitor/test/drill/rig"
)

// brokerFaults make the embedded cluster misbehave.
func brokerFaults() []rig.Fault {
	site := rig.Site{Broker: rig.DevBroker}
	order := func(paths ...string) func(context.Context, *rig.Round) error {
		return func(ctx context.Context, r *rig.Round) error { return misbehave(ctx, r, paths) }
	}
	return []rig.Fault{
		{
			Name: "kafka-leaders", Breaks: "every partition's leader moves to another broker",
			Expects: "readings arrive again", Times: 50, Quick: 3, Site: site, Run: order("/leaders"),
		},
		{
			Name: "kafka-coordinators", Breaks: "the coordinators of groups and transactions move",
			Expects: "readings arrive again", Times: 50, Quick: 3, Site: site, Run: order("/coordinators"),
		},
		{
			Name: "kafka-append", Breaks: "Kafka stores produced records and answers that it did not",
			Expects: "readings arrive again", Times: 50, Quick: 3, Site: site, Run: order(
				"/fault?request=Produce&error=REQUEST_TIMED_OUT&count=1",
				"/fault?request=Produce&error=NOT_ENOUGH_REPLICAS_AFTER_APPEND&count=2",
				"/fault?request=EndTxn&error=REQUEST_TIMED_OUT&count=1",
				"/fault?request=Produce&error=OUT_OF_ORDER_SEQUENCE_NUMBER&count=1",
			),
		},
	}
}

// misbehave gives the broker one order after another and waits each time until readings
// of every gateway arrive.
func misbehave(ctx context.Context, r *rig.Round, orders []string) error {
	for i := range r.Times {
		if err := r.Moment(ctx, 100*time.Millisecond, time.Second); err != nil {
			return err
		}
		path := orders[i%len(orders)]
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.KafkaControl()+path, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
		if err != nil {
			return fmt.Errorf("ordering the broker %s: %w", path, err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("ordering the broker %s: status %d", path, resp.StatusCode)
		}
		r.Happened()
		took, err := r.AwaitNew(ctx)
		if err != nil {
			return fmt.Errorf("after %s: %w", path, err)
		}
		r.Recovered("readings of every gateway after "+path, took, 0)
	}
	return nil
}

// Limits of an outage of Kafka.
const (
	kafkaResumeLimit  = 10 * time.Second
	bridgeMemoryLimit = 256 << 20
)

// kafkaFaults need Apache Kafka.
func kafkaFaults() []rig.Fault {
	return []rig.Fault{{
		Name: "kafka-screens", Breaks: "Apache Kafka is down for 5 min while screens are watched, in the middle of it the bridge is killed",
		Expects: "the screens stay live, the bridge uses at most 256 MB; alarms and readings are complete after it, once", Times: 1, Quick: 1,
		Site: rig.Site{Broker: rig.RealBroker}, Run: watchWithoutKafka,
	}, {
		Name: "kafka-down", Breaks: "Apache Kafka is down for 5 min, stopped or killed",
		Expects: "readings arrive within 10 s of its return, the bridge uses at most 256 MB", Times: 2,
		Site: rig.Site{Broker: rig.RealBroker}, Run: stopKafka,
	}}
}

func stopKafka(ctx context.Context, r *rig.Round) error {
	for i := range r.Times {
		if err := r.Moment(ctx, time.Second, 3*time.Second); err != nil {
			return err
		}
		end := r.Kafka.Stop
		if i%2 == 1 {
			end = r.Kafka.Kill
		}
		if err := end(); err != nil {
			return err
		}
		r.Happened()
		if err := rig.Sleep(ctx, r.Short(10*time.Second, 5*time.Minute)); err != nil {
			return err
		}
		if err := r.Kafka.Start(ctx); err != nil {
			return err
		}
		took, err := r.AwaitNew(ctx)
		if err != nil {
			return fmt.Errorf("after Apache Kafka was back: %w", err)
		}
		r.Recovered("readings of every gateway after Apache Kafka was back", took, kafkaResumeLimit)
	}
	r.CheckMemory(bridgeMemoryLimit, "bridge")
	return nil
}
