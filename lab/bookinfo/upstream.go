package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	upstreamTimeout  = 3 * time.Second
	upstreamBytesMax = 1 << 20
)

// Headers a service passes on, so that a trace and a user's session hold together across the mesh.
var passedOn = []string{
	"X-Request-Id", "X-Ot-Span-Context", "B3", "X-B3-Traceid", "X-B3-Spanid", "X-B3-Parentspanid", "X-B3-Sampled", "X-B3-Flags",
	"Traceparent", "Tracestate", "X-Cloud-Trace-Context", "Grpc-Trace-Bin", "End-User", "User-Agent", "Cookie", "Authorization",
}

// serviceURL gives the address of another service. As in Istio's sample, NAME_HOSTNAME and NAME_SERVICE_PORT override it.
func serviceURL(variable, name, path string) string {
	host, port := os.Getenv(variable+"_HOSTNAME"), os.Getenv(variable+"_SERVICE_PORT")
	if host == "" {
		host = name
	}
	if port == "" {
		port = "9080"
	}
	return fmt.Sprintf("http://%s:%s%s", host, port, path)
}

// getJSON asks another service on behalf of a request and decodes its answer.
func getJSON(incoming *http.Request, url string, into any) error {
	ctx, cancel := context.WithTimeout(incoming.Context(), upstreamTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	for _, header := range passedOn {
		if value := incoming.Header.Get(header); value != "" {
			request.Header.Set(header, value)
		}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, response.Status)
	}
	return json.NewDecoder(io.LimitReader(response.Body, upstreamBytesMax)).Decode(into)
}
