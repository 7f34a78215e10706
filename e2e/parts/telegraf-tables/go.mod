module telewarden/e2e/parts/telegraf-tables

go 1.27.0
