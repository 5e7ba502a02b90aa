"""Published records: how they are packed, their reports, the index of all, and tables for other texts, as the README.

python -m reports.publishing                    # write reports and index, and fill in the tables of TEXTS again
python -m reports.publishing --pack RUN FOLDER  # pack a run's records into FOLDER below reports/published first
"""
