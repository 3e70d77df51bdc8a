// The server that the load benchmarks send to. It answers fast, keeps count, and stalls when it is told to.
//
//	go build -o target load_target.go && ./target 127.0.0.1:8080
//
// GET /count answers with the requests to / so far; /control?delay_ms=5&stall_in_ms=3000&stall_ms=2000 makes every
// answer take a while, and lets all of them wait from an instant on for a time.
package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

var count, delay, stallBegin, stallEnd atomic.Int64

func number(r *http.Request, name string) int64 {
	value, _ := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
	return value * int64(time.Millisecond)
}

func main() {
	answer := []byte(`[{"id":1,"name":"Alice"}]`)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		if nanoseconds := delay.Load(); nanoseconds > 0 {
			time.Sleep(time.Duration(nanoseconds))
		}
		if now := time.Now().UnixNano(); now >= stallBegin.Load() && now < stallEnd.Load() {
			time.Sleep(time.Duration(stallEnd.Load() - now))
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
	})
	http.HandleFunc("/count", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, count.Load()) })
	http.HandleFunc("/control", func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now().UnixNano() + number(r, "stall_in_ms")
		delay.Store(number(r, "delay_ms"))
		stallBegin.Store(begin)
		stallEnd.Store(begin + number(r, "stall_ms"))
		fmt.Fprint(w, begin)
	})
	panic(http.ListenAndServe(os.Args[1], nil))
}
