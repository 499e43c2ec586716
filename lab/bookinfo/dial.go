package main

import (
	"encoding/json"
	"errors"
	"flag"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// dialTally is what came of all connects so far. A refused one was captured (the proxy's port was closed); a silent one was not.
type dialTally struct {
	FirstAt   string `json:"firstAt"`
	LastAt    string `json:"lastAt"`
	Connected int    `json:"connected"`
	Refused   int    `json:"refused"`
	Silent    int    `json:"silent"`
	Other     int    `json:"other"`
}

// dial connects to one address from its first instruction until it is told to end, and prints a tally each time it changed in kind,
// each half second, and at the end: the log of a pod that has gone still holds almost everything.
func dial(args []string) error {
	flags := flag.NewFlagSet("dial", flag.ContinueOnError)
	everyMs := flags.Int("every-ms", 20, "milliseconds between two connects")
	timeoutMs := flags.Int("timeout-ms", 1000, "milliseconds to wait for each connect")
	forMs := flags.Int("for-ms", 0, "end after so many milliseconds, with exit code 1 if a connect got no answer; 0: at SIGTERM")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("give one address, such as 192.0.2.1:80")
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	var deadline <-chan time.Time
	if *forMs > 0 {
		deadline = time.After(time.Duration(*forMs) * time.Millisecond)
	}
	var group sync.WaitGroup
	var lock sync.Mutex
	tally := dialTally{FirstAt: now()}
	attempt := func() {
		defer group.Done()
		connection, err := net.DialTimeout("tcp", flags.Arg(0), time.Duration(*timeoutMs)*time.Millisecond)
		if err == nil {
			_ = connection.Close()
		}
		lock.Lock()
		defer lock.Unlock()
		tally.add(err)
	}
	print := func() {
		lock.Lock()
		defer lock.Unlock()
		tally.LastAt = now()
		_ = json.NewEncoder(os.Stdout).Encode(tally)
	}
	ticks := time.NewTicker(time.Duration(*everyMs) * time.Millisecond)
	prints := time.NewTicker(500 * time.Millisecond)
	for running := true; running; {
		group.Add(1)
		go attempt()
		select {
		case <-ticks.C:
		case <-prints.C:
			print()
		case <-ended:
			running = false
		case <-deadline:
			running = false
		}
	}
	group.Wait()
	print()
	if *forMs > 0 && tally.Silent+tally.Other > 0 {
		return errors.New("some connects got no answer: they were not captured")
	}
	return nil
}

func (tally *dialTally) add(err error) {
	var timeout net.Error
	switch {
	case err == nil:
		tally.Connected++
	case errors.Is(err, syscall.ECONNREFUSED):
		tally.Refused++
	case errors.As(err, &timeout) && timeout.Timeout():
		tally.Silent++
	default:
		tally.Other++
	}
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }
