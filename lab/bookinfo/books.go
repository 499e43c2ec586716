package main

import (
	"net/http"
)

type bookDetails struct {
	ID        string `json:"id"`
	Author    string `json:"author"`
	Year      int    `json:"year"`
	Type      string `json:"type"`
	Pages     int    `json:"pages"`
	Publisher string `json:"publisher"`
	Language  string `json:"language"`
	ISBN10    string `json:"ISBN-10"`
	ISBN13    string `json:"ISBN-13"`
}

type bookRatings struct {
	ID      string         `json:"id"`
	Ratings map[string]int `json:"ratings"`
}

type stars struct {
	Stars int    `json:"stars"`
	Color string `json:"color"`
	Error string `json:"error,omitempty"`
}

type review struct {
	Reviewer string `json:"reviewer"`
	Text     string `json:"text"`
	Rating   *stars `json:"rating,omitempty"`
}

type bookReviews struct {
	ID      string   `json:"id"`
	PodName string   `json:"podname"`
	Version string   `json:"version"`
	Reviews []review `json:"reviews"`
}

func detailsRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /details/{id}", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, bookDetails{
			ID: r.PathValue("id"), Author: "William Shakespeare", Year: 1595, Type: "paperback", Pages: 200,
			Publisher: "PublisherA", Language: "English", ISBN10: "1234567890", ISBN13: "123-1234567890",
		})
	})
	return mux
}

func ratingsRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ratings/{id}", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, bookRatings{ID: r.PathValue("id"), Ratings: map[string]int{"Reviewer1": 5, "Reviewer2": 4}})
	})
	return mux
}

// reviewsRoutes serves reviews; v1 without stars, v2 with black and v3 with red ones, which it asks the ratings service for.
func reviewsRoutes(version string) *http.ServeMux {
	color := map[string]string{"v2": "black", "v3": "red"}[version]
	mux := http.NewServeMux()
	mux.HandleFunc("GET /reviews/{id}", func(w http.ResponseWriter, r *http.Request) {
		body := bookReviews{ID: r.PathValue("id"), PodName: podName(), Version: version, Reviews: []review{
			{Reviewer: "Reviewer1", Text: "Two pairs of twins, one long day, and not a dull page."},
			{Reviewer: "Reviewer2", Text: "Short, quick and funnier on a stage than on paper."},
		}}
		if color != "" {
			rate(r, &body, color)
		}
		reply(w, http.StatusOK, body)
	})
	return mux
}

func rate(r *http.Request, body *bookReviews, color string) {
	var ratings bookRatings
	err := getJSON(r, serviceURL("RATINGS", "ratings", "/ratings/"+body.ID), &ratings)
	for i := range body.Reviews {
		if err != nil {
			body.Reviews[i].Rating = &stars{Color: color, Error: "Ratings service is currently unavailable"}
			continue
		}
		body.Reviews[i].Rating = &stars{Color: color, Stars: ratings.Ratings[body.Reviews[i].Reviewer]}
	}
}
