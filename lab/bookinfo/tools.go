package main

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

const fetchBytesMax = 1 << 20

type connectResult struct {
	Address   string  `json:"address"`
	Connected bool    `json:"connected"`
	Local     string  `json:"local,omitempty"`
	Error     string  `json:"error,omitempty"`
	ElapsedMs float64 `json:"elapsedMs"`
}

// connect dials every address at once and prints the results in the order given: one JSON list, exit 0 whatever they are.
func connect(args []string) error {
	flags := flag.NewFlagSet("connect", flag.ContinueOnError)
	timeoutMs := flags.Int("timeout-ms", 1000, "milliseconds to wait for each connect")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("no address given, such as 192.0.2.1:80 or [2001:db8::1]:443")
	}
	return inParallel(flags.Args(), func(address string) any {
		started := time.Now()
		result := connectResult{Address: address}
		connection, err := net.DialTimeout("tcp", address, time.Duration(*timeoutMs)*time.Millisecond)
		result.ElapsedMs = float64(time.Since(started).Microseconds()) / 1000
		if err != nil {
			result.Error = err.Error()
			return result
		}
		result.Connected, result.Local = true, connection.LocalAddr().String()
		_ = connection.Close()
		return result
	})
}

type fetchResult struct {
	URL       string      `json:"url"`
	Status    int         `json:"status"`
	Headers   http.Header `json:"headers,omitempty"`
	Body      string      `json:"body,omitempty"`
	Error     string      `json:"error,omitempty"`
	ElapsedMs float64     `json:"elapsedMs"`
}

// fetch asks for every URL at once, follows no redirect and reuses no connection.
func fetch(args []string) error {
	flags := flag.NewFlagSet("fetch", flag.ContinueOnError)
	timeoutMs := flags.Int("timeout-ms", 5000, "milliseconds to wait for each answer")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("no URL given")
	}
	client := &http.Client{
		Timeout:       time.Duration(*timeoutMs) * time.Millisecond,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return inParallel(flags.Args(), func(url string) any { return fetchOne(client, url) })
}

func fetchOne(client *http.Client, url string) fetchResult {
	started := time.Now()
	result := fetchResult{URL: url}
	response, err := client.Get(url)
	if err != nil {
		result.Error = err.Error()
	} else {
		defer response.Body.Close()
		body, readErr := io.ReadAll(io.LimitReader(response.Body, fetchBytesMax))
		result.Status, result.Headers, result.Body = response.StatusCode, response.Header, string(body)
		if readErr != nil {
			result.Error = readErr.Error()
		}
	}
	result.ElapsedMs = float64(time.Since(started).Microseconds()) / 1000
	return result
}

func inParallel(targets []string, try func(target string) any) error {
	results := make([]any, len(targets))
	var group sync.WaitGroup
	for i, target := range targets {
		group.Add(1)
		go func() {
			defer group.Done()
			results[i] = try(target)
		}()
	}
	group.Wait()
	return json.NewEncoder(os.Stdout).Encode(results)
}

// echo sends back every byte it gets, and logs one line a connection.
func echo(args []string) error {
	flags := flag.NewFlagSet("echo", flag.ContinueOnError)
	address := flags.String("listen", ":9080", "address to listen on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	slog.Info("listening", "address", listener.Addr().String())
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		slog.Info("connected", "from", connection.RemoteAddr().String(), "to", connection.LocalAddr().String())
		go func() {
			defer connection.Close()
			_, _ = io.Copy(connection, connection)
		}()
	}
}
