package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// control serves fault injection by POST:
//
//	/leaders                        every partition gets another leader
//	/coordinators                   groups and transactions get other coordinators
//	/fault?request=Produce&error=REQUEST_TIMED_OUT&count=3
//
// /fault answers the next count requests of a kind with an error. As with a real broker, the
// records of a produce request are stored before REQUEST_TIMED_OUT and
// NOT_ENOUGH_REPLICAS_AFTER_APPEND.
func control(addr string, c *kfake.Cluster) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /leaders", func(http.ResponseWriter, *http.Request) { c.ShufflePartitionLeaders() })
	mux.HandleFunc("POST /coordinators", func(http.ResponseWriter, *http.Request) { c.RehashCoordinators() })
	mux.HandleFunc("POST /fault", func(w http.ResponseWriter, r *http.Request) {
		f, err := parseFault(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.Fault(f)
	})
	return &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
}

func parseFault(r *http.Request) (kfake.Fault, error) {
	key, err1 := requestKey(r.FormValue("request"))
	kind, err2 := kafkaError(r.FormValue("error"))
	count, err3 := strconv.Atoi(r.FormValue("count"))
	return kfake.Fault{Keys: []kmsg.Key{key}, Err: kind, Count: count}, errors.Join(err1, err2, err3)
}

// requestKey finds a request by its name in the protocol.
func requestKey(name string) (kmsg.Key, error) {
	for k := range kmsg.Key(kmsg.MaxKey + 1) {
		if kmsg.NameForKey(int16(k)) == name {
			return k, nil
		}
	}
	return 0, fmt.Errorf("unknown request %q", name)
}

// kafkaError finds an error by its name in the protocol.
func kafkaError(name string) (*kerr.Error, error) {
	for code := range int16(200) {
		var e *kerr.Error
		if errors.As(kerr.ErrorForCode(code), &e) && e.Message == name {
			return e, nil
		}
	}
	return nil, fmt.Errorf("unknown error %q", name)
}
