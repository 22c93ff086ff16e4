-- One database and one role each: Prefect, MLflow, the control store.
create role prefect login password 'CHANGE-ME';
create role mlflow login password 'CHANGE-ME';
create role control login password 'CHANGE-ME';
create database prefect owner prefect;
create database mlflow owner mlflow;
create database control owner control;
