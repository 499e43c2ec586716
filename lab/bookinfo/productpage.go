package main

import (
	"html/template"
	"log/slog"
	"net/http"
	"strings"
)

const bookTitle = "The Comedy of Errors"

type page struct {
	Title        string
	Details      *bookDetails
	DetailsError string
	Reviews      *bookReviews
	ReviewsError string
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"glyphs": func(n int) string { return strings.Repeat("★", n) + strings.Repeat("☆", max(0, 5-n)) },
}).Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Simple Bookstore App</title></head>
<body>
<h1>{{.Title}}</h1>
<h2>Book Details</h2>
{{with .Details}}<dl>
<dt>Author</dt><dd>{{.Author}}</dd>
<dt>Year</dt><dd>{{.Year}}</dd>
<dt>Type</dt><dd>{{.Type}}</dd>
<dt>Pages</dt><dd>{{.Pages}}</dd>
<dt>Publisher</dt><dd>{{.Publisher}}</dd>
<dt>Language</dt><dd>{{.Language}}</dd>
<dt>ISBN-10</dt><dd>{{.ISBN10}}</dd>
<dt>ISBN-13</dt><dd>{{.ISBN13}}</dd>
</dl>{{else}}<p class="error">Error fetching product details: {{.DetailsError}}</p>{{end}}
<h2>Book Reviews</h2>
{{with .Reviews}}{{range .Reviews}}<blockquote>{{.Text}}<footer>{{.Reviewer}}</footer>
{{with .Rating}}{{if .Error}}<p class="error">{{.Error}}</p>{{else}}<p style="color:{{.Color}}">{{glyphs .Stars}}</p>{{end}}{{end}}</blockquote>
{{end}}<p>Reviews served by: <u>{{.PodName}}</u> ({{.Version}})</p>
{{else}}<p class="error">Error fetching product reviews: {{.ReviewsError}}</p>{{end}}
</body>
</html>
`))

func productpageRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", showPage)
	mux.HandleFunc("GET /productpage", showPage)
	mux.HandleFunc("GET /api/v1/products/{id}", func(w http.ResponseWriter, r *http.Request) {
		var details bookDetails
		relay(w, &details, getJSON(r, serviceURL("DETAILS", "details", "/details/"+r.PathValue("id")), &details))
	})
	mux.HandleFunc("GET /api/v1/products/{id}/reviews", func(w http.ResponseWriter, r *http.Request) {
		var reviews bookReviews
		relay(w, &reviews, getJSON(r, serviceURL("REVIEWS", "reviews", "/reviews/"+r.PathValue("id")), &reviews))
	})
	return mux
}

// showPage always answers 200, as Istio's page does: a part that is missing is named on the page.
func showPage(w http.ResponseWriter, r *http.Request) {
	view := page{Title: bookTitle}
	var details bookDetails
	if err := getJSON(r, serviceURL("DETAILS", "details", "/details/0"), &details); err != nil {
		view.DetailsError = err.Error()
	} else {
		view.Details = &details
	}
	var reviews bookReviews
	if err := getJSON(r, serviceURL("REVIEWS", "reviews", "/reviews/0"), &reviews); err != nil {
		view.ReviewsError = err.Error()
	} else {
		view.Reviews = &reviews
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := pageTemplate.Execute(w, view); err != nil {
		slog.Error("page", "error", err)
	}
}

func relay(w http.ResponseWriter, body any, err error) {
	if err != nil {
		reply(w, http.StatusBadGateway, map[string]string{"error": err.Error()})
		return
	}
	reply(w, http.StatusOK, body)
}
