"""The pages outside the contract, for readers and for operators, and the files of Swagger UI."""
