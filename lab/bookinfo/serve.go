package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const listenAddress = ":9080"

// serve answers on port 9080 until it is told to stop. Every service has /health.
func serve(mux *http.ServeMux) error {
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"status": "healthy"})
	})
	server := &http.Server{Addr: listenAddress, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	slog.Info("serving", "address", listenAddress, "mode", os.Getenv("BOOKINFO_MODE"), "version", os.Getenv("BOOKINFO_VERSION"))
	select {
	case err := <-failed:
		return err
	case <-stop.Done():
	}
	drain, done := context.WithTimeout(context.Background(), 2*time.Second)
	defer done()
	return server.Shutdown(drain)
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func podName() string {
	name, _ := os.Hostname()
	return name
}
