// Command bookinfo is the lab's stand-in for Istio's Bookinfo images: the same services, ports and paths in one small static
// binary, and the tools a test needs inside a pod that has no shell.
//
//	bookinfo details|ratings|reviews|productpage     serve on :9080
//	bookinfo connect [--timeout-ms N] ADDRESS...     try TCP connects, print JSON
//	bookinfo fetch [--timeout-ms N] URL...           try HTTP GETs, print JSON
//	bookinfo echo [--listen ADDRESS]                 send back what arrives over TCP
//	bookinfo dial [--every-ms N] [--for-ms N] ADDRESS  connect again and again, print tallies
//
// Without a mode, BOOKINFO_MODE decides.
package main

import (
	"fmt"
	"os"
)

var modes = map[string]func(args []string) error{
	"details":     func([]string) error { return serve(detailsRoutes()) },
	"ratings":     func([]string) error { return serve(ratingsRoutes()) },
	"reviews":     func([]string) error { return serve(reviewsRoutes(os.Getenv("BOOKINFO_VERSION"))) },
	"productpage": func([]string) error { return serve(productpageRoutes()) },
	"connect":     connect,
	"fetch":       fetch,
	"echo":        echo,
	"dial":        dial,
}

func main() {
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{os.Getenv("BOOKINFO_MODE")}
	}
	run, known := modes[args[0]]
	if !known {
		fmt.Fprintf(os.Stderr, "bookinfo: mode %q is not one of details, ratings, reviews, productpage, connect, fetch, echo, dial\n", args[0])
		os.Exit(1)
	}
	if err := run(args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "bookinfo %s: %v\n", args[0], err)
		os.Exit(1)
	}
}
