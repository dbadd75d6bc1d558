module application

go 1.25
