"""Published records: how they are packed, the index of all of them, and tables of them for other texts, as the README.

python -m reports.publishing                    # write the index and fill in the tables of TEXTS again
python -m reports.publishing --pack RUN FOLDER  # pack a run's records into FOLDER below reports/published first
"""
